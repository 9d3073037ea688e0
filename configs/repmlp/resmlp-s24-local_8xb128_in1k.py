_base_ = './resmlp-s24_8xb128_in1k.py'

model = dict(backbone=dict(reparam_conv_kernels=(1, 3)))
