_base_ = './_base_/official_256px.py'
