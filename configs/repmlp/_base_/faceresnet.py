# RepMLP-FaceResNet at 96 pixels (arXiv 2105.01883, section 4.3): blocks whose
# 1x1 convolutions do not reduce, RepMLP bottlenecks in c2 to c4, AM-Softmax.
# The paper does not say what stands between the last map and the margin; an
# embedding of 512 numbers is common for faces. Set num_classes to the number
# of identities in data/faces/train.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='RepMLPResNet',
        depth=(3, 2, 2, 2),
        block='bottleneck',
        img_size=96,
        base_channels=32,  # 128, 256, 512 and 1024 in the stages
        partition_size=6,
        num_groups=4,
        reduction=2,
        expansion=1,
        repmlp_stages=(0, 1, 2),
        out_indices=(3, ),
        deploy=False),
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(
            type='LinearReduction',
            in_channels=1024,
            out_channels=512,
            norm_cfg=dict(type='BN1d'),
            act_cfg=None)
    ],
    head=dict(type='AMSoftmaxClsHead', num_classes=1000, in_channels=512))
