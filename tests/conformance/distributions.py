"""The distributions as the reference cases call them: ``family.function`` of x and the parameters.

The cases give a scale without a location, where SciPy's order has both: the location is 0 then.
"""

import importlib

NAMES = [
    "pdf",
    "logpdf",
    "pmf",
    "logpmf",
    "cdf",
    "logcdf",
    "sf",
    "logsf",
    "ppf",
    "isf",
    "mean",
    "variance",
    "mode",
    "entropy",
    "kl",
]
OF_PARAMETERS = {"mean", "variance", "mode", "entropy", "kl"}


def as_given(*parameters):
    return parameters


def scale_alone(*scale):
    return 0.0, *scale


def shape_and_scale(shape, scale):
    return shape, 0.0, scale


def by_ends(low, high):
    return low, high - low


FAMILIES = {  # name in the cases: (module, the case's parameters as the module's)
    "norm": ("normal", as_given),
    "laplace": ("laplace", as_given),
    "logistic": ("logistic", as_given),
    "cauchy": ("cauchy", as_given),
    "gumbel": ("gumbel", as_given),
    "expon": ("exponential", scale_alone),
    "uniform": ("uniform", by_ends),
    "weibull": ("weibull", shape_and_scale),
    "lognormal": ("log_normal", as_given),
    "pareto": ("pareto", shape_and_scale),
    "bernoulli": ("bernoulli", as_given),
    "geom": ("geometric", as_given),
    "categorical": ("categorical", as_given),
    "gamma": ("gamma", shape_and_scale),
    "chi2": ("chi_squared", as_given),
    "beta": ("beta", as_given),
    "t": ("student_t", as_given),
    "poisson": ("poisson", as_given),
    "binom": ("binomial", as_given),
    "nbinom": ("negative_binomial", as_given),
    "multinomial": ("multinomial", as_given),
    "dirichlet": ("dirichlet", as_given),
    "mvn": ("multivariate_normal", as_given),
}


def called(f, name, ordered):
    """The function of a module, for the arguments of a case."""
    if name == "kl" and ordered is shape_and_scale:
        return f  # of two with the same location
    if name == "kl":

        def divergence(*of):
            half = len(of) // 2
            return f(*ordered(*of[:half]), *ordered(*of[half:]))

        return divergence
    if ordered is by_ends and name != "kl":
        return lambda *of: f(*of[:-1], high=of[-1])
    if name in OF_PARAMETERS:
        return lambda *of: f(*ordered(*of))
    return lambda x, *of: f(x, *ordered(*of))


def functions():
    """All of them by the names of the cases."""
    found = {}
    for family, (module, ordered) in FAMILIES.items():
        try:
            m = importlib.import_module(f"fnmath.probability.{module}")
        except ModuleNotFoundError:
            continue
        for name in NAMES:
            if hasattr(m, name):
                found[f"{family}.{name}"] = called(getattr(m, name), name, ordered)
    return found
