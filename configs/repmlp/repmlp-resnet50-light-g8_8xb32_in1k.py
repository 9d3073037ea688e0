# The light blocks of arXiv 2105.01883, appendix A, which reports 77.14 % top-1
# (ResNet-50 by the same training: 77.19 %). Not trained here.
_base_ = './_base_/repmlp_resnet50_224px.py'

model = dict(backbone=dict(block='light', num_groups=8))
