"""Reading of image files that names what it cannot read."""
from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio

from mmcls_repmlp.host import TRANSFORMS
from repmlp_lite.errors import ImageError
from repmlp_lite.image_files import is_cut_off


@TRANSFORMS.register_module()
class LoadImageStrict(LoadImageFromFile):
    """LoadImageFromFile with its options and pixels, which names bad files.

    A JPEG file without an end is refused: before version 5, OpenCV fills what
    is missing with grey. With ``ignore_empty``, the data set takes another
    image, as in mmcv. Results with an image and no path pass unchanged: the
    host's inferencer loads images by itself.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add ``img``, uint8 of shape (H, W, 3), BGR, and its shape.

        Raises:
            ImageError: If ``img_path`` is no file that holds a whole image.
        """
        if 'img' in results and 'img_path' not in results:
            return results
        path = results['img_path']
        try:
            image = self._read(path)
        except MemoryError:
            raise
        except Exception as error:
            if self.ignore_empty:
                return None
            raise ImageError(f'image {str(path)!r} cannot be read: '
                             f'{_reason(error)}') from error
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _read(self, path: str) -> np.ndarray:
        if self.file_client_args is not None:
            content = fileio.FileClient.infer_client(self.file_client_args,
                                                     path).get(path)
        else:
            content = fileio.get(path, backend_args=self.backend_args)
        if not content:
            raise ValueError('the file is empty')
        if is_cut_off(content):
            raise ValueError('the file is cut off')
        image = mmcv.imfrombytes(
            content, flag=self.color_type, backend=self.imdecode_backend)
        if image is None:
            raise ValueError('it is damaged, or in no format known here')
        return image


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return 'the file does not exist'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return ' '.join(str(error).split()) or type(error).__name__
