# The bottleneck blocks of arXiv 2105.01883, section 3.5: 78.55 % top-1 in
# table 4 (ResNet-50 by the same training: 77.19 %). Not trained here.
_base_ = './_base_/repmlp_resnet50_224px.py'

model = dict(backbone=dict(block='bottleneck', num_groups=8, reduction=(2, 4)))
