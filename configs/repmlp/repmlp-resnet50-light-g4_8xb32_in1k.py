# The light blocks as released (DingXiaoH/RepMLP@b626c3d): 4 groups where the
# paper has 8, and reports the accuracy of. Not trained here.
_base_ = './_base_/repmlp_resnet50_224px.py'

model = dict(backbone=dict(block='light', num_groups=4))
