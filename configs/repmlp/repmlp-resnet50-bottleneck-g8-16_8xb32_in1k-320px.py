# g8/16 of arXiv 2105.01883, table 4: the groups of c3 and c4. See the table for
# its accuracy. Not trained here.
_base_ = './_base_/repmlp_resnet50_320px.py'

model = dict(backbone=dict(num_groups=(8, 16)))
