_base_ = ['./_base_/fashion_mnist.py', './_base_/schedule_fashion_mnist.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResMLP',
        arch=dict(channels=32, depth=5, init_values=0.1),
        img_size=28,
        in_channels=1,
        patch_size=2,
        reparam_conv_kernels=None,
        deploy=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=32,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
        topk=(1, )))
