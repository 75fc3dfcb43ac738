"""``pretrain bert``: a checkpoint of transformers and text to a checkpoint that has read the text.

In: :class:`BERTConfig`. Out: a folder that ``bert:DIR`` takes, as an encoder and to be fine-tuned: configuration,
``model.safetensors``, tokenizer, a model card, and below ``training/`` the text as word pieces, the checkpoint of the
training and the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.errors import DataError, MissingFileError, UsageError
from featstore.files import write_file
from featstore.fingerprint import file_sha256
from featstore.pretrain.card import read_log, settings_of, write_card
from featstore.pretrain.checkpoint import training_folder
from featstore.pretrain.config import PretrainConfig
from featstore.pretrain.loop import LOG, train
from featstore.pretrain.masked import MaskedNetwork, MaskedTask
from featstore.pretrain.parallel import Group, ParallelJob, choose_device, run_jobs
from featstore.pretrain.schedule import PretrainProgress, Schedule
from featstore.pretrain.word_pieces import PieceRows, piece_stream, read_pieces, write_pieces

PIECES, WEIGHTS = "pieces.u32", "model.safetensors"


def _schedule() -> Schedule:
    return Schedule(
        learning_rate=3e-4, warmup=200, clip=1.0, weight_decay=0.01, evaluate_every=500, checkpoint_every=500
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BERTConfig(PretrainConfig):
    """A training of a masked language model that goes on from a checkpoint.

    Attributes:
        start: folder of the checkpoint to start from; BERT's or RoBERTa's family.
        length: number of word pieces of a row, with the special ones.
        tokens: number of word pieces in a batch, summed over all processes.
        share: share of the words that are hidden.
        dropout: rate inside the transformer. One pass over much text needs none.

    See :class:`~featstore.pretrain.config.PretrainConfig` for the rest.

    Raises:
        UsageError: a value is out of range.
    """

    start: Path
    length: int = 128
    tokens: int = 4096
    share: float = 0.15
    dropout: float = 0.0
    schedule: Schedule = field(default_factory=_schedule)

    def __post_init__(self) -> None:
        PretrainConfig.__post_init__(self)
        if not self.text or self.processes < 1 or not 0 < self.share < 1 or not 0 <= self.dropout < 1:
            raise UsageError(
                "pre-training needs at least one text file and one process, a share of hidden words between 0 and 1, "
                "and dropout below 1."
            )
        if self.tokens < self.length:
            raise UsageError(f"a batch of {self.tokens} word pieces has no room for a row of {self.length}.")
        if self.out.resolve() == self.start.resolve():
            raise UsageError(f"{self.out} holds the checkpoint to start from; name another folder for the new one.")

    @property
    def batch(self) -> int:
        """Number of rows in a batch."""
        return self.tokens // self.length


def pretrain_bert(config: BERTConfig, progress: Callable[[PretrainProgress], None] | None = None) -> dict[str, Any]:
    """Go on training a masked language model, and write it. An interrupted training goes on.

    Args:
        progress: called in this process with the state of the training, about twice a second.

    Returns:
        the encoder's spec, the folder and the log.

    Raises:
        MissingFileError, DataError: the checkpoint or the text is missing or damaged, or the text is too short.
        UsageError: the checkpoint cannot read rows of this length, or belongs to another family.
        MismatchError: ``out`` holds a checkpoint of a training with different settings.
        ResourceError: the disk is full, or a process was killed.
    """
    tokenizer = _tokenizer(config)
    blocks = piece_stream(config.source.held_out(), tokenizer.backend_tokenizer, tokenizer.sep_token_id)
    held_out = np.concatenate(list(blocks))
    training = training_folder(config.out, fresh=config.fresh)
    weights = {path.name: file_sha256(path) for path in sorted(config.start.iterdir()) if path.is_file()}
    facts: dict[str, object] = {"start": weights, **config.source.facts()}
    write_pieces(
        training / PIECES, facts, config.source.one_pass(), tokenizer.backend_tokenizer, tokenizer.sep_token_id
    )
    rows = _rows(config, tokenizer, read_pieces(training / PIECES))
    steps = config.schedule.total(len(rows), config.batch)
    run_jobs([ParallelJob(_train, (config, weights, held_out, steps), config.processes)], progress)
    log = read_log(training / LOG)
    write_card(
        config.out,
        title="Masked language model",
        method="Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, with whole words hidden",
        source=config.source,
        settings=settings_of(config) | {"start": config.start.name, "steps": steps},
        logs={"bert": log},
        files=(config.out / WEIGHTS,),
    )
    return {"encoder": f"bert:{config.out}", "folder": str(config.out), "log": log}


def _train(
    config: BERTConfig,
    weights: dict[str, str],
    held_out: NDArray[np.uint32],
    steps: int | None,
    group: Group,
    report: Callable[[PretrainProgress], None] | None,
) -> None:
    """Train in this process and write the files."""
    tokenizer, device = _tokenizer(config), choose_device(config.device)
    torch.manual_seed(config.schedule.seed)
    network = MaskedNetwork(_model(config, device), config.precision)
    task = MaskedTask(
        network,
        _rows(config, tokenizer, read_pieces(config.out / "training" / PIECES)),
        _rows(config, tokenizer, held_out),
        mask=tokenizer.mask_token_id,
        share=config.share,
        batch=config.batch,
        seed=config.schedule.seed,
        told={
            "start": weights,
            "dropout": config.dropout,
            "precision": config.precision,
            **config.source.facts(),
        },
        group=group,
        device=device,
    )
    torch.manual_seed(config.schedule.seed + group.rank)  # the same weights everywhere, but other dropout
    train(task, config.schedule, steps, config.out / "training", report, group)
    if group.rank == 0:
        _save(config, network.model, tokenizer)


def _tokenizer(config: BERTConfig) -> Any:
    """Load the tokenizer of the checkpoint. Only local files are read, and no code that comes with it is run."""
    from transformers import AutoTokenizer

    if not (config.start / "config.json").is_file():
        raise MissingFileError(
            f"{config.start}/config.json does not exist; --from needs a folder with a checkpoint of transformers."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(config.start, local_files_only=True, use_fast=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise DataError(f"{config.start} holds no tokenizer that transformers can load: {error}") from error
    if tokenizer.mask_token_id is None or tokenizer.sep_token_id is None:
        raise UsageError(f"the tokenizer of {config.start} has no pieces for a mask and a separator; BERT's have.")
    tokenizer.backend_tokenizer.no_padding()  # some checkpoints come with the padding and truncation of another use
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def _rows(config: BERTConfig, tokenizer: Any, stream: NDArray[np.uint32]) -> PieceRows:
    special = tokenizer.build_inputs_with_special_tokens([-1])
    place = special.index(-1)
    if config.length < len(special) + 1:
        raise UsageError(f"rows of {config.length} word pieces have no room for text; choose a greater --length.")
    return PieceRows(stream, tuple(special[:place]), tuple(special[place + 1 :]), config.length)


def _model(config: BERTConfig, device: str) -> Any:
    """Load the checkpoint with its output layer; one that has none begins with a new one."""
    from safetensors import SafetensorError
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # a checkpoint without an output layer would be told as a table of missing weights
    try:
        model = AutoModelForMaskedLM.from_pretrained(
            config.start,
            local_files_only=True,
            dtype=torch.float32,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            # On a processor the gradient of the fused kernels takes longer than that of single products.
            attn_implementation="eager" if device == "cpu" else "sdpa",
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"{config.start} is not a checkpoint that transformers can load: {error}") from error
    finally:
        logging.set_verbosity(level)
    longest = int(model.config.max_position_embeddings)
    if config.length > longest:
        raise UsageError(f"{config.start} reads {longest} word pieces at a time; choose a smaller --length.")
    return model


def _save(config: BERTConfig, model: Any, tokenizer: Any) -> None:
    """Write the checkpoint: the start's configuration and tokenizer, and the new weights, which come last."""
    from safetensors.torch import save
    from transformers import AutoConfig

    kept = AutoConfig.from_pretrained(config.start, local_files_only=True)
    kept.architectures, kept.dtype = [type(model).__name__], config.dtype
    tokenizer.save_pretrained(config.out)
    write_file(config.out / "config.json", kept.to_json_string(use_diff=True).encode("utf-8"))
    dtype = getattr(torch, config.dtype)
    # Tied weights are written once: the output layer takes the table of the pieces.
    tensors = {name: p.detach().to("cpu", dtype).contiguous() for name, p in model.named_parameters()}
    write_file(config.out / WEIGHTS, save(tensors, metadata={"format": "pt"}))
