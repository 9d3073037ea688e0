_base_ = './resmlp-s12-local_8xb128_in1k.py'

model = dict(backbone=dict(deploy=True))
