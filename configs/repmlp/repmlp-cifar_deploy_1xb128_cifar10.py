_base_ = './repmlp-cifar_1xb128_cifar10.py'

model = dict(backbone=dict(deploy=True))
