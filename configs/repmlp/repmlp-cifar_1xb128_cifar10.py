# The pure MLP of arXiv 2105.01883, section 4.1; its accuracy: metafile.yml.
# Ablations: backbone reparam_conv_kernels=None leaves out the local
# perceptron (8.5 points lower there), with_global=False the global one. The
# paper does not give momentum and decay: these are section 4.2's. Not trained
# here.
_base_ = [
    './_base_/cifar10.py', './_base_/schedule_sgd_100ep.py',
    './_base_/runtime.py'
]

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='RepMLPCifarNet',
        channels=(16, 32, 64),
        img_size=32,
        partition_size=8,
        reparam_conv_kernels=(1, 3, 5, 7),
        num_groups=2,
        out_indices=(2, ),
        deploy=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=64,
        loss=dict(type='CrossEntropyLoss'),
        topk=(1, )))

optim_wrapper = dict(optimizer=dict(lr=0.2))
auto_scale_lr = dict(base_batch_size=128)
