"""Choices of options, for tools and jobs."""

# Names of variants of RepMLPNet and of ResMLP, as their modules have them.
ARCHS = ('t', 'tiny', 'b', 'base', 'd', 'deep', 'l', 'large', 's12', 's24',
         'b24')
# Class activation maps, by their names in TorchCAM. Not Grad-CAM++: TorchCAM
# 0.5 computes its weights in another way than the paper.
CAM_METHODS = {
    'gradcam': 'GradCAM',
    'layercam': 'LayerCAM',
    'scorecam': 'ScoreCAM'
}
LATEST = 'auto'  # the newest intact checkpoint of a work folder
LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
METRICS = ('accuracy', 'precision', 'recall', 'f1_score', 'support')
# Which of the pictures along a pipeline are shown.
MODES = {
    'transformed': slice(-1, None),
    'original': slice(0, 1),
    'concat': slice(None),
    'pipeline': slice(None)
}
OUT_ITEMS = ('pred', 'metrics')
PHASES = ('train', 'val', 'test')
INT8 = 'int8'
# torch's dtype of the weights; int8 files are made of float32.
PRECISIONS = {
    'fp32': 'float32',
    'fp16': 'float16',
    'bf16': 'bfloat16',
    INT8: 'float32'
}
