_base_ = './resmlp-mini_1xb128_fashion-mnist.py'

model = dict(backbone=dict(reparam_conv_kernels=(1, 3)))
