"""Two parts of the model in a faster way, for training on a processor; the results are the same.

They hold where all pictures of a batch have one size, and every block of the model sees whole pictures.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING

from torch.nn.functional import linear, scaled_dot_product_attention
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import apply_rotary_pos_emb_vision

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
        Qwen2_5_VisionPatchEmbed,
        Qwen2_5_VLVisionAttention,
    )


def shorten(learner: Qwen2_5_VLForConditionalGeneration) -> None:
    """Let the model take the shortcuts."""
    embedding = learner.model.visual.patch_embed
    embedding.forward = MethodType(embed, embedding)
    for block in learner.model.visual.blocks:
        block.attn.forward = MethodType(attend, block.attn)


def embed(layer: Qwen2_5_VisionPatchEmbed, patches: torch.Tensor) -> torch.Tensor:
    """The convolution over whole patches as what it is: one product."""
    return linear(patches, layer.proj.weight.flatten(1))


def attend(
    layer: Qwen2_5_VLVisionAttention,
    hidden: torch.Tensor,
    cu_seqlens: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
    **_: object,
) -> torch.Tensor:
    """Attention in all pictures at once, not one by one."""
    parts = layer.qkv(hidden).reshape(len(hidden), 3, layer.num_heads, -1).unbind(1)
    turned = apply_rotary_pos_emb_vision(parts[0], parts[1], *position_embeddings)
    pictures = len(cu_seqlens) - 1
    query, key, value = (
        part.reshape(pictures, -1, layer.num_heads, layer.head_dim).transpose(1, 2)
        for part in (*turned, parts[2])
    )
    seen = scaled_dot_product_attention(query, key, value)
    return layer.proj(seen.transpose(1, 2).reshape(len(hidden), -1))
