"""The mathematics of deep learning as pure JAX functions.

Import one function from its chapter: ``from fnmath.losses import huber_loss``. The chapters, from
the ground up (each imports only from those before it):

    numerics                                               what keeps the rest finite
    linear_algebra  calculus  statistics  information      the mathematics
    expectation  bayes
    activations  initializers                              the pieces of a layer
    layers  losses  metrics                                the pieces of a network
    networks  backprop                                     the forward and the backward pass
    training  benchmark                                    gradient descent, and what it costs
"""
