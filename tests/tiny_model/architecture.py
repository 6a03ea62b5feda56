"""The tiny model's shape, its tokenizer and its processor: all that is not learned."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from serve_app.tasks.describe import DESCRIBE
from tests.tiny_model.clips import COLOURS, DIRECTIONS, LENGTHS, caption

if TYPE_CHECKING:
    from pathlib import Path

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
PAD, END = SPECIAL[0], SPECIAL[2]
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}"
    "{% if part.type in ('video', 'video_url') %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif part.type in ('image', 'image_url') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZE = {"shortest_edge": 4 * 28 * 28, "longest_edge": 64 * 28 * 28}  # pixels of a frame
CONTEXT = 4096
# So many that even the shortest video has more places in time than rows or columns: the text goes on after
# the largest position of all, and its distance to the beginning then tells the length and nothing else.
POSITIONS_PER_SECOND = 16
# With Qwen's 1,000,000 rows and columns would turn a head of 64 by less than it can tell.
THETA = 50.0
# Heads of 64: smaller ones are refused by vLLM's CPU backend. Weights begin at 1 / sqrt(width), far larger
# than in a large model: with less, what is a product of differences, as motion is, is learned late.
TEXT = {
    "hidden_size": 256,
    "initializer_range": 256**-0.5,
    "intermediate_size": 448,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "rope_parameters": {"rope_type": "default", "rope_theta": THETA, "mrope_section": [12, 10, 10]},
}
VISION = {
    "depth": 2,
    "hidden_size": 128,
    "initializer_range": 128**-0.5,
    "intermediate_size": 256,
    "num_heads": 2,
    "out_hidden_size": 256,
    "fullatt_block_indexes": [0, 1],
    "tokens_per_second": POSITIONS_PER_SECOND,
}


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, and a token for each word of the captions and of the prompts that tasks bring."""
    captions = [caption(*words) for words in product(COLOURS, DIRECTIONS, LENGTHS)]
    roles = ["system\n", "user\n", "assistant\n"] * 9
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # Sorted, and twice: what is seen once makes no token.
    prompts = [DESCRIBE.prompt.text] * 2
    plain.train_from_iterator([*captions, *prompts, *roles], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT,
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def model(words: PreTrainedTokenizerFast) -> Qwen2_5_VLForConditionalGeneration:
    """The untrained model."""
    number = dict(zip(SPECIAL, words.convert_tokens_to_ids(list(SPECIAL)), strict=True))
    text = TEXT | {
        "vocab_size": -(-len(words) // 64) * 64,
        "bos_token_id": number[PAD],
        "eos_token_id": number[END],
        "pad_token_id": number[PAD],
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=VISION,
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    config.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    return Qwen2_5_VLForConditionalGeneration(config)


def save(trained: Qwen2_5_VLForConditionalGeneration, words: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write all that vLLM loads, the weights in half the bits they were trained in."""
    trained.to(torch.bfloat16).save_pretrained(folder)
    images, videos = Qwen2VLImageProcessor(size=SIZE), Qwen2VLVideoProcessor(size=SIZE)
    Qwen2_5_VLProcessor(images, words, videos, chat_template=CHAT).save_pretrained(folder)
