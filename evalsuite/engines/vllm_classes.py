"""vLLM beside other models in one process: Transformers' classes stay what they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["classes_left_alone"]


@contextmanager
def classes_left_alone() -> Iterator[None]:
    """Around loading a model with vLLM: let it change classes of its own, not those of Transformers.

    Architectures that vLLM has no code for, OLMo 2 and 3 among them, it runs by Transformers' code, and prepares the
    class of their decoder for compilation in place (vLLM 0.31): no other model of that class, such as the policy whose
    completions vLLM draws, could be called or loaded in this process any more.
    """
    from transformers import MODEL_MAPPING
    from vllm.model_executor.models.transformers.base import Base

    prepare = getattr(Base, "_decorate_cls_for_torch_compile", None)
    if prepare is None:  # a release that does it otherwise, or not at all
        yield
        return
    known = dict(MODEL_MAPPING._extra_content)

    def prepare_own(self: Any, cls: Any, *args: Any, **kwargs: Any) -> None:
        own = type(cls.__name__, (cls,), {"__module__": cls.__module__})
        prepare(self, own, *args, **kwargs)
        MODEL_MAPPING._extra_content[cls.config_class] = own

    Base._decorate_cls_for_torch_compile = prepare_own
    try:
        yield
    finally:
        Base._decorate_cls_for_torch_compile = prepare
        MODEL_MAPPING._extra_content = known
