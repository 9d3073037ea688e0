_base_ = './repmlp-mini_1xb128_fashion-mnist.py'

model = dict(backbone=dict(deploy=True))
