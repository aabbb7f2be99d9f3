"""A server that speaks the protocol of `vllm serve` over the real transformers engine: what it answers, the guard has
said.

It renders the messages with the checkpoint's own template, as vLLM does, and reads log probabilities off the model's
own logits.
"""

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import GenerationConfig

from guardapp.guard.engines.adapters import OURS
from guardapp.guard.engines.hf.hf_engine import HfEngine

# number of the request → a status that it gets instead of an answer
Fault = Callable[[int], int | None]


@dataclass
class ChatServer:
    engine: HfEngine
    url: str = ""
    fault: Fault = lambda number: None
    asked: list[dict[str, Any]] = field(default_factory=list)
    # folder by name; whoever asks for them gets the engine's own answers
    adapters: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    busiest: int = 0
    _under_way: int = 0
    _count: threading.Lock = field(default_factory=threading.Lock)
    _model: threading.Lock = field(default_factory=threading.Lock)

    def change(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Load or unload an adapter."""
        name = body["lora_name"]
        if path.startswith("/v1/unload"):
            return (
                (200, {}) if self.adapters.pop(name, None) else (404, {"error": {"message": f"{name} is not loaded"}})
            )
        if name in self.adapters or not Path(body["lora_path"], "adapter_config.json").exists():
            return 400, {"error": {"message": f"{body['lora_path']} cannot be loaded"}}
        self.adapters[name] = body["lora_path"]
        return 200, {}

    def tokenize(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        tokens = self.engine.tokenizer(body["prompt"], add_special_tokens=body["add_special_tokens"])["input_ids"]
        return 200, {"count": len(tokens), "max_model_len": self.engine.context, "tokens": tokens}

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["model"].startswith(OURS) and body["model"] not in self.adapters:
            return 404, {"error": {"message": f"The model {body['model']} does not exist."}}
        with self._count:
            self.requests += 1
            number = self.requests
            self._under_way += 1
            self.busiest = max(self.busiest, self._under_way)
        try:
            if (status := self.fault(number)) is not None:
                return status, {"error": {"message": "as the test wants it"}}
            with self._model:
                self.asked.append(body)
                return 200, {"choices": [self._choice(body, index) for index in range(body["n"])]}
        finally:
            with self._count:
                self._under_way -= 1

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _choice(self, body: dict[str, Any], index: int) -> dict[str, Any]:
        engine, tokenizer = self.engine, self.engine.tokenizer
        messages, images = _for_template(body["messages"])
        prefix = messages.pop()["content"] if messages[-1]["role"] == "assistant" else ""
        text = engine.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + prefix
        inputs = engine.processor(
            text=[text], add_special_tokens=False, return_tensors="pt", **({"images": [images]} if images else {})
        )
        torch.manual_seed(body["seed"] + index)
        greedy = body["temperature"] == 0
        drawn = (
            {"do_sample": False}
            if greedy
            else {"do_sample": True, "temperature": body["temperature"], "top_p": body["top_p"]}
        )
        config = GenerationConfig(
            max_new_tokens=body["max_tokens"],
            eos_token_id=engine.end_ids,
            output_logits=True,
            pad_token_id=tokenizer.pad_token_id,
            return_dict_in_generate=True,
            **drawn,
        )
        output = engine.model.generate(**inputs, generation_config=config)
        written = output.sequences[0, inputs["input_ids"].shape[1] :].tolist()
        ended = written[-1] in engine.end_ids
        places = list(zip(written, output.logits, strict=True))[: len(written) - ended]
        rows = [
            _token_row(tokenizer, token, torch.log_softmax(logits[0].float(), -1), body["top_logprobs"])
            for token, logits in places
        ]
        return {
            "index": index,
            "message": {"content": tokenizer.decode([token for token, _ in places])},
            "finish_reason": "stop" if ended else "length",
            "logprobs": {"content": rows},
        }


def _token_row(tokenizer: Any, token: int, logprobs: torch.Tensor, top: int) -> dict[str, Any]:
    text = tokenizer.decode([token])
    values, ids = logprobs.topk(top)
    return {
        "token": text,
        "bytes": list(text.encode()),
        "logprob": float(logprobs[token]),
        "top_logprobs": [
            {"token": tokenizer.decode([one]), "logprob": value}
            for value, one in zip(values.tolist(), ids.tolist(), strict=True)
        ],
    }


def _for_template(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """The protocol's parts as the checkpoint's template wants them, and the pictures that came with them."""
    images: list[Image.Image] = []
    told = []
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            images += [
                Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))).convert("RGB")
                for part in content
                if part["type"] == "image_url"
            ]
            content = [{"type": "image"} if part["type"] == "image_url" else part for part in content]
        told.append({**message, "content": content})
    return told, images


@contextmanager
def chat_server(engine: HfEngine, *, name: str = "starter", fault: Fault = lambda number: None) -> Iterator[ChatServer]:
    server = ChatServer(engine, fault=fault)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            adapters = [{"id": adapter, "root": folder, "parent": name} for adapter, folder in server.adapters.items()]
            self._respond(
                200, {"data": [{"id": name, "root": engine.name, "max_model_len": engine.context}, *adapters]}
            )

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("lora_adapter"):
                self._respond(*server.change(self.path, body))
            else:
                self._respond(*(server.tokenize(body) if self.path == "/tokenize" else server.answer(body)))

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _respond(self, status: int, content: dict[str, Any]) -> None:
            payload = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        http.shutdown()
        thread.join()
