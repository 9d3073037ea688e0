_base_ = './resmlp-mini-local_1xb128_fashion-mnist.py'

model = dict(backbone=dict(deploy=True))
