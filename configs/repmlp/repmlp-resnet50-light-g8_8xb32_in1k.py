# The light blocks of arXiv 2105.01883, appendix A. Its accuracy is in
# metafile.yml. Not trained here.
_base_ = './_base_/repmlp_resnet50_224px.py'

model = dict(backbone=dict(block='light', num_groups=8))
