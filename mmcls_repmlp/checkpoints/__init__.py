"""Files: read safely, load strictly, write atomically, rename."""
from .io import (
                 CHECKPOINT_SUFFIXES,
                 check_fit,
                 load_strictly,
                 local_file,
                 read_checkpoint,
                 state_dict_of,
                 write_checkpoint,
)
from .meta import class_names, classes_meta, meta_of
from .official import convert_to_mmcls, convert_to_official
from .recognition import Recognized, recognize
from .resize import resized_state_dict
from .safe_globals import allow_mmengine_checkpoints
from .safe_urls import make_urls_safe

__all__ = [
    'CHECKPOINT_SUFFIXES', 'Recognized', 'allow_mmengine_checkpoints',
    'check_fit', 'class_names', 'classes_meta', 'convert_to_mmcls',
    'convert_to_official', 'load_strictly', 'local_file', 'make_urls_safe',
    'meta_of', 'read_checkpoint', 'recognize', 'resized_state_dict',
    'state_dict_of', 'write_checkpoint'
]
