# The first paper's RepMLP-ResNet-50 (light blocks, g8) at 224 pixels on a
# folder of your own images, given by --data; see docs/finetuning.md. From
# random weights: to start from pre-trained ones, add
# --cfg-options load_from=CHECKPOINT.
_base_ = [
    './_base_/repmlp_base.py', './_base_/custom_folder.py',
    './_base_/schedule_finetune.py', './_base_/runtime.py'
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='RepMLPResNet',
        depth=50,
        img_size=224,
        partition_size=7,
        reparam_conv_kernels=(1, 3, 5),
        out_indices=(3, ),
        block='light',
        num_groups=8,
        deploy=False),
    head=dict(in_channels=2048, topk=(1, )))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1, save_best='auto'))
