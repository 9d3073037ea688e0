# g4/8 of arXiv 2105.01883: the groups of c3 and c4. Its accuracy: table 4
# of the paper. Not trained here.
_base_ = './_base_/repmlp_resnet50_320px.py'

model = dict(backbone=dict(num_groups=(4, 8)))
