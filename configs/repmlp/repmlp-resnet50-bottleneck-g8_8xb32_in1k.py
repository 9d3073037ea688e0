# The bottleneck blocks of arXiv 2105.01883, section 3.5. Its accuracy, of
# table 4, is in metafile.yml. Not trained here.
_base_ = './_base_/repmlp_resnet50_224px.py'

model = dict(backbone=dict(block='bottleneck', num_groups=8, reduction=(2, 4)))
