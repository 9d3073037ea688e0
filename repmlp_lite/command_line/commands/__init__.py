"""Commands of ``repmlp``, a function for each.

It adds the arguments to a parser and returns their job, 'MODULE:FUNCTION'. Its
docstring is the help.
"""
from .analysis import cam, flops, locality, verify
from .checkpoints import convert, publish, reparameterize, resize
from .inference import classify, export, predict
from .training import browse, test, train

# By name, in the order of a user's day.
COMMANDS = dict(
    browse=browse,
    train=train,
    test=test,
    classify=classify,
    cam=cam,
    locality=locality,
    verify=verify,
    reparameterize=reparameterize,
    export=export,
    predict=predict,
    publish=publish,
    resize=resize,
    convert=convert,
    flops=flops)

__all__ = ['COMMANDS']
