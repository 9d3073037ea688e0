_base_ = './_base_/official_224px.py'
