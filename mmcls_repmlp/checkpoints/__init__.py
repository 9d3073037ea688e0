"""Weights in and out of files: read safely, fit strictly, rename, write."""
from .checkpoint_file import (CHECKPOINT_SUFFIXES, read_checkpoint,
                              write_checkpoint)
from .local_file import (checkpoint_folder, local_file, newest_checkpoint,
                         numbered_checkpoints)
from .meta import class_names, classes_meta, converted_meta, meta_of
from .official import convert_to_mmcls, convert_to_official
from .recognition import Recognized, recognize
from .resized import resized_state_dict
from .resmlp_recognition import recognize_resmlp
from .safe_globals import allow_mmengine_checkpoints
from .weights import check_fit, keep_dtype, load_strictly, state_dict_of

__all__ = [
    'CHECKPOINT_SUFFIXES', 'Recognized', 'allow_mmengine_checkpoints',
    'check_fit', 'checkpoint_folder', 'class_names', 'classes_meta',
    'convert_to_mmcls', 'convert_to_official', 'converted_meta', 'keep_dtype',
    'load_strictly', 'local_file', 'meta_of', 'newest_checkpoint',
    'numbered_checkpoints', 'read_checkpoint', 'recognize', 'recognize_resmlp',
    'resized_state_dict', 'state_dict_of', 'write_checkpoint'
]
