"""Information: how much is not known, and how far one distribution lies from another.

Notation: p and q are probabilities, on the last axis; every amount is in nats, or in bits with
``base=2``. 0 log 0 = 0; what does not sum to 1 to within √ε is no distribution, and gives nan.

Of discrete distributions:

    entropy, cross_entropy                − Σₖ pₖ log pₖ, − Σₖ pₖ log qₖ
    relative_entropy                      their difference, the Kullback–Leibler divergence
    jensen_shannon                        the mean divergence from the mixture of both
    renyi_entropy, renyi_divergence       the same with powers of any order in place of logarithms
    total_variation_distance              ½ Σₖ |pₖ − qₖ|
    hellinger_distance                    √(½ Σₖ (√pₖ − √qₖ)²)

The cost of moving one distribution onto another:

    wasserstein_distance                  on the line, of samples with weights
    gaussian_wasserstein_distance         of normal distributions
    sinkhorn                              of masses with any costs, with entropy

What one variable says of another, and data of their parameters:

    mutual_information                    of a discrete joint distribution
    gaussian_mutual_information           of the parts of a normal vector
    mutual_information_of_samples         of samples, by their nearest neighbours
    fisher_information                    of any log density
"""

from fnmath.information.dependence import (
    gaussian_mutual_information,
    mutual_information,
    mutual_information_of_samples,
)
from fnmath.information.discrete import (
    cross_entropy,
    entropy,
    hellinger_distance,
    jensen_shannon,
    relative_entropy,
    renyi_divergence,
    renyi_entropy,
    total_variation_distance,
)
from fnmath.information.fisher import fisher_information
from fnmath.information.transport import (
    EntropicTransport,
    gaussian_wasserstein_distance,
    sinkhorn,
    wasserstein_distance,
)

__all__ = [
    "EntropicTransport",
    "cross_entropy",
    "entropy",
    "fisher_information",
    "gaussian_mutual_information",
    "gaussian_wasserstein_distance",
    "hellinger_distance",
    "jensen_shannon",
    "mutual_information",
    "mutual_information_of_samples",
    "relative_entropy",
    "renyi_divergence",
    "renyi_entropy",
    "sinkhorn",
    "total_variation_distance",
    "wasserstein_distance",
]
