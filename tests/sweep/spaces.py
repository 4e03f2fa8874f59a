"""A search space with branches, and a point of it."""

from inksweep.sweep.space.declare import declare

PARAMS = {
    "model": "choice(cnn,mlp)",
    "lr": "tag(log,interval(1e-4,1e-1))",
    "epochs": "range(1,10,2)",
    "optimizer": "choice(adamw,sgd)",
    "optimizer.nesterov": "choice(true,false)",
}
WHEN = {
    "model": {
        "cnn": {"model.channels": "[16],[16,32],null"},
        "mlp": {"model.hidden": "choice([64],[128,64])", "+model.width": "choice(1.0,2.5)"},
    }
}
CNN = {"model": "cnn", "lr": 0.01, "epochs": 3, "optimizer": "sgd", "optimizer.nesterov": True}


def space(*arguments, params=PARAMS, when=WHEN, extend=None):
    return declare(params, when, arguments, extend)
