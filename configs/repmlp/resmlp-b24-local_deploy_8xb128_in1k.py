_base_ = './resmlp-b24-local_8xb128_in1k.py'

model = dict(backbone=dict(deploy=True))
