"""Models of the index, and their entries in the host's list by name."""
from __future__ import annotations

from pathlib import Path

from modelindex.load_model_index import load
from modelindex.models.Model import Model

from . import ModelHub

_INDEX = 'model-index.yml'


def mim_root() -> Path:
    """Find the folder of ``configs``, ``tools`` and ``model-index.yml``.

    It is ``.mim`` in the installed package, where mim looks, or the clone.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / '.mim'
    return installed if (installed / _INDEX).is_file() else package.parent


def indexed_models() -> list[Model]:
    """Read the models of ``model-index.yml``, in its order."""
    index = load(str(mim_root() / _INDEX))
    index.build_models_with_collections()
    return list(index.models)


def config_of(model: Model, deploy: bool = False) -> Path:
    """Find the config of a model, of its training or its deploy form.

    They are the same for a network without convolutions to merge.
    """
    path = mim_root() / model.config
    family, rest = path.name.split('_', 1)
    merged = path.with_name(f'{family}_deploy_{rest}')
    return merged if deploy and merged.exists() else path


def register_models() -> None:
    """Add these models to the host's ``list_models``; twice does no more."""
    if not any(ModelHub.has(model.name) for model in indexed_models()):
        ModelHub.register_model_index(mim_root() / _INDEX, mim_root())
