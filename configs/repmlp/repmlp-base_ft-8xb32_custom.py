# RepMLP-B at 224 pixels, fine-tuned on a folder of your own images; see
# docs/finetuning.md.
_base_ = [
    './_base_/repmlp_base.py', './_base_/custom_folder.py',
    './_base_/schedule_finetune.py', './_base_/runtime.py'
]

# A file, or a URL: here the weights that mmcls hosts.
checkpoint = 'https://download.openmmlab.com/mmclassification/v0/repmlp/repmlp-base_3rdparty_8xb64_in1k_20220330-1cb1f11b.pth'

model = dict(
    backbone=dict(
        frozen_stages=0,  # the stem and the first stage stay as they are
        init_cfg=dict(
            type='Pretrained', checkpoint=checkpoint, prefix='backbone.')),
    head=dict(
        num_classes=5,  # set this, and nothing else, to your classes
        topk=(1, )))

default_hooks = dict(checkpoint=dict(max_keep_ckpts=1, save_best='auto'))
