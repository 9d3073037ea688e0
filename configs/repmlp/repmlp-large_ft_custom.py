# RepMLP-L at 256 pixels on a folder of your own images, given by --data; see
# docs/finetuning.md. From random weights: to start from pre-trained ones, add
# --cfg-options load_from=CHECKPOINT.
_base_ = [
    './_base_/repmlp_base.py', './_base_/custom_folder_256px.py',
    './_base_/schedule_finetune.py', './_base_/runtime.py'
]

model = dict(
    backbone=dict(arch='L', img_size=256),
    head=dict(in_channels=768, topk=(1, )))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1, save_best='auto'))
