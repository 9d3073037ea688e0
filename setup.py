"""Build steps beyond pyproject.toml: the folder ``.mim`` of the package."""
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).resolve().parent
# Read by mim, and by mmcls' list of models, in the installed package.
MIM = ('configs', 'tools', 'demo', 'model-index.yml')


class BuildWithMim(build_py):
    """Build step that adds configs and tools as ``mmcls_repmlp/.mim``."""

    def run(self) -> None:
        """Copy them, or link them for an editable installation."""
        super().run()
        if self.editable_mode:
            folder, put = ROOT / 'mmcls_repmlp' / '.mim', link
        else:
            folder, put = Path(self.build_lib, 'mmcls_repmlp', '.mim'), copy
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in MIM:
            put(ROOT / name, folder / name)


class EditableWithMim(editable_wheel):
    """Editable wheel whose metadata names the folder of the package.

    mim and mmengine expect a package beside its metadata, or else where the
    first line of ``top_level.txt`` leads from there: to this folder, after
    ``pip install -e .``.
    """

    def _ensure_dist_info(self) -> None:
        super()._ensure_dist_info()
        names = Path(self.dist_info_dir, 'top_level.txt')
        names.write_text(f'{ROOT / "mmcls_repmlp"}\n{names.read_text()}')


def link(source: Path, target: Path) -> None:
    """Link to a sibling of the package."""
    target.symlink_to(Path('..', '..', source.name))


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder without compiled files."""
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy(source, target)


setup(cmdclass=dict(build_py=BuildWithMim, editable_wheel=EditableWithMim))
