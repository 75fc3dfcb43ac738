"""Every path that runs on a GPU: does it agree with the CPU, and how fast is it.

In: plain text, and models of random weights that are made here. Out: a Markdown table for each part, printed as it is
measured, and at the end the memory that was taken.

``parity`` encodes sentences on both devices and prints the largest difference, relative to the largest value. The
script ends with code 1 where a float32 path differs by more than 1e-3. ``encode`` prints tokens a second of CSE and
ELMo beside the references that can be imported (flair; the modules of AllenNLP) and BERT-base, all on the same device.
``pretrain`` trains character and word language models for a few seconds and prints characters and words a second.
``--seconds`` bounds each measurement; ``--device cpu`` rehearses the script.

    python benchmarks/gpu.py --text FILE [--parts parity,encode,pretrain] [--sizes small,full] [--seconds 15]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from encoder_engines import make_models

from featstore.encoders import load_encoder
from featstore.encoders.bilm import BiLMConfig
from featstore.encoders.charlm import CharLMConfig
from featstore.pretrain.bilm import BiLMTask
from featstore.pretrain.charlm import CharLMTask, learn_characters
from featstore.pretrain.loop import Task
from featstore.pretrain.sentences import learn_words, pieces
from featstore.pretrain.text import TextSource, read_lines

TOLERANCE = 1e-3
LINES = 4000  # of the text that are read
Sentences = Sequence[Sequence[str]]
# name: hidden units, embedding columns, streams, characters between cuts
CHARACTER_MODELS = {"small": (512, 64, 512, 200), "full": (1024, 100, 1024, 250)}
# name: units, projection, filters, tokens a batch
WORD_MODELS = {
    "small": (512, 128, ((1, 32), (2, 32), (3, 64), (4, 128)), 8192),
    "full": (1024, 128, ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256)), 32768),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="plain or .gz text, a paragraph a line")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--parts", default="parity,encode,pretrain")
    parser.add_argument("--sizes", default="small,full")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU here; --device cpu rehearses the script")
    name = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}\n", flush=True)
    lines = list(islice(read_lines(given.text), LINES))
    sentences = list(pieces(lines, 60))
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for size in given.sizes.split(","):
            make_models(Path(folder) / size, size)
        for part in given.parts.split(","):
            if part == "parity":
                failed = parity(Path(folder), given.sizes.split(","), given.device, sentences[:64])
            elif part == "encode":
                table(
                    "encoder",
                    "tokens",
                    encode(Path(folder), given.sizes.split(","), given.device, sentences, given.seconds),
                )
            elif part == "pretrain":
                text = Path(folder) / "text.txt"
                text.write_text("\n".join(lines) + "\n", encoding="utf-8")
                table("model", "units", pretrain(text, given.sizes.split(","), given.device, given.seconds))
            else:
                parser.error(f"no part '{part}'; the parts are parity, encode and pretrain")
    if given.device == "cuda":
        print(f"most memory on the device: {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")
    sys.exit(int(failed))


def table(what: str, unit: str, rows: Iterator[tuple[str, float]]) -> None:
    """Print each row as soon as it is measured."""
    print(f"| {what} | {unit} a second |\n|---|---|", flush=True)
    for name, rate in rows:
        print(f"| {name} | {rate:,.0f} |", flush=True)
    print(flush=True)


def parity(folder: Path, sizes: Sequence[str], device: str, sentences: Sentences) -> bool:
    """Print how far each encoder on ``device`` is from float32 on the CPU; say whether a float32 path is too far."""
    print("| encoder | precision | largest difference |\n|---|---|---|", flush=True)
    failed = False
    for size in sizes:
        for name in ("cse", "elmo"):
            spec = f"{name}:{folder / size / name}"
            expected = load_encoder(spec).encode(sentences).values
            for precision in ("float32", "bfloat16"):
                found = load_encoder(spec, device=device, precision=precision).encode(sentences).values
                apart = float(np.abs(found - expected).max() / np.abs(expected).max())
                failed |= precision == "float32" and apart > TOLERANCE
                print(f"| {name}, {size} | {precision} | {apart:.1e} |", flush=True)
    print(flush=True)
    return failed


def encode(
    folder: Path, sizes: Sequence[str], device: str, sentences: Sentences, seconds: float
) -> Iterator[tuple[str, float]]:
    """Yield each encoder and its tokens a second."""
    for size in sizes:
        for name in ("cse", "elmo"):
            for precision in ("float32", "bfloat16"):
                encoder = load_encoder(f"{name}:{folder / size / name}", device=device, precision=precision)
                yield f"{name}, {size}, {precision}", token_rate(encoder.encode, sentences, 512, device, seconds)
    for label, load in references(folder, sizes, device):
        yield label, token_rate(load(), sentences, 32, device, seconds)


def references(
    folder: Path, sizes: Sequence[str], device: str
) -> Iterator[tuple[str, Callable[[], Callable[[Sentences], object]]]]:
    """Yield what can be imported here of flair, AllenNLP's modules and transformers; the others are named on stderr."""
    for size in sizes:
        if importlib.util.find_spec("flair"):
            yield f"flair, cse {size}, float32", partial(flair_on, folder / size, device)
        if importlib.util.find_spec("allennlp_light"):
            yield f"AllenNLP's modules, elmo {size}, float32", partial(allennlp_on, folder / size, device)
    if importlib.util.find_spec("transformers"):
        yield "BERT-base, bfloat16", partial(bert_on, device)
    for package in ("flair", "allennlp_light", "transformers"):
        if not importlib.util.find_spec(package):
            print(f"{package} is not installed, so its row is left out", file=sys.stderr)


def flair_on(folder: Path, device: str) -> Callable[[Sentences], object]:
    """Return flair's embeddings of a pair of character models."""
    import flair
    from encoder_engines import flair_cse

    flair.device = torch.device(device)
    return flair_cse(folder)


def allennlp_on(folder: Path, device: str) -> Callable[[Sentences], object]:
    """Return AllenNLP's ELMo."""
    from encoder_engines import AllenNLP

    engine = AllenNLP(folder)
    engine.weights = {name: tensor.to(device) for name, tensor in engine.weights.items()}
    engine.highway.to(device)
    for cell in engine.cells:
        cell.to(device)
    return engine


def bert_on(device: str) -> Callable[[Sentences], object]:
    """Return a model of BERT-base's shape with random weights; a token is taken as 1.4 word pieces."""
    from transformers import BertConfig, BertModel

    model: torch.nn.Module = BertModel(BertConfig())
    model.to(device, torch.bfloat16).eval()

    @torch.inference_mode()
    def run(sentences: Sentences) -> object:
        longest = max(map(len, sentences))
        ids = torch.randint(1000, (len(sentences), int(1.4 * longest) + 2), device=device)
        return model(ids).last_hidden_state.float().cpu().numpy()

    return run


def token_rate(
    encode: Callable[[Sentences], object], sentences: Sentences, batch: int, device: str, seconds: float
) -> float:
    """Return tokens a second, by the clock, over batches of sentences of similar length; one batch warms up."""
    order = sorted(sentences, key=len)
    batches = [order[first : first + batch] for first in range(0, len(order), batch)]
    turn = np.random.default_rng(0).permutation(len(batches))
    encode(batches[turn[0]])
    wait(device)
    tokens, start = 0, time.perf_counter()
    while True:
        for n in turn:
            encode(batches[n])
            wait(device)
            tokens += sum(map(len, batches[n]))
            if time.perf_counter() - start >= seconds:
                return tokens / (time.perf_counter() - start)


def pretrain(text: Path, sizes: Sequence[str], device: str, seconds: float) -> Iterator[tuple[str, float]]:
    """Yield each language model and the characters or words a second that it learns from."""
    source = TextSource((text,), (text,), held_out_chars=2000)
    items, _ = learn_characters(source.one_pass(), 2)
    words, _ = learn_words(pieces(source.one_pass(), 60), 30_000, 1)
    for size in sizes:
        hidden, width, streams, length = CHARACTER_MODELS[size]
        config = CharLMConfig(
            hidden_size=hidden,
            nlayers=1,
            embedding_size=width,
            nout=None,
            is_forward=True,
            document_delimiter="\n",
            dropout=0.1,
            items=items,
        )
        task: Task = CharLMTask(config, source, streams=streams, length=length, device=device)
        yield (
            f"character model of {hidden}, {streams} streams of {length}, characters",
            unit_rate(task, device, seconds),
        )
        units, projection, filters, tokens = WORD_MODELS[size]
        shape = BiLMConfig(
            char_dim=16,
            filters=filters,
            n_highway=1,
            activation="relu",
            max_characters=50,
            dim=units,
            projection_dim=projection,
            n_layers=2,
            cell_clip=3.0,
            proj_clip=3.0,
            use_skip_connections=True,
        )
        task = BiLMTask(shape, words, source, dropout=0.1, tokens=tokens, max_tokens=60, device=device)
        yield f"word model of {units}/{projection}, {tokens} tokens a batch, words", unit_rate(task, device, seconds)


def unit_rate(task: Task, device: str, seconds: float) -> float:
    """Return units a second of whole steps (batch, loss, gradients, AdamW); the first two steps warm up."""
    optimiser = torch.optim.AdamW(task.model.parameters(), lr=1e-3, fused=True)
    steps, start, units = 0, time.perf_counter(), 0
    while steps < 3 or time.perf_counter() - start < seconds:
        if steps == 2:
            wait(device)
            start, units = time.perf_counter(), task.units
        loss = task.loss()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), 0.5)
        optimiser.step()
        steps += 1
    wait(device)
    return (task.units - units) / (time.perf_counter() - start)


def wait(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
