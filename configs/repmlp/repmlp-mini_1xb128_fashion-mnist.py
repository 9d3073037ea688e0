_base_ = ['./_base_/fashion_mnist.py', './_base_/schedule_fashion_mnist.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='RepMLPNet',
        arch=dict(channels=(32, 64), depths=(2, 4), sharesets_nums=(1, 8)),
        img_size=28,
        in_channels=1,
        patch_size=2,
        out_indices=(1, ),
        reparam_conv_kernels=(1, 3),
        deploy=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=64,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
        topk=(1, )))
