"""Talks to the server at argv[1] with the openai library; any complaint of the library ends it. See .ci/openai-client."""
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
model = client.models.list().data[0].id
messages = [{"role": "user", "content": "Say something about harbours."}]
passed = 0


def check(what, good):
    global passed
    assert good, what
    passed += 1


# A chat, streamed, with token counts.
ask = dict(model=model, messages=messages, max_tokens=12, extra_body={"ignore_eos": True})
with client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}) as stream:
    chunks = list(stream)
check("the first delta has the role", chunks[0].choices[0].delta.role == "assistant")
text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
check("twelve words", len(text.split()) == 12)
check("why it ended", chunks[-2].choices[0].finish_reason == "length")
check("token counts", chunks[-1].usage.completion_tokens == 12 and not chunks[-1].choices)

# The same in one piece.
whole = client.chat.completions.create(**ask)
check("the same words", whole.choices[0].message.content == text)
check("the same counts", whole.usage == chunks[-1].usage or whole.usage.completion_tokens == 12)

# Through the library's own accumulator of streams, which takes a text that was cut for an error: the stop string ends it.
with client.chat.completions.stream(**ask, stop=["slow"]) as stream:
    events = [event.type for event in stream]
    final = stream.get_final_completion()
check("events of the accumulator", "content.delta" in events and "content.done" in events)
check("its text", len(final.choices[0].message.content.split()) == 5)

# Several choices, and a stop string.
two = client.chat.completions.create(**ask, n=2)
check("two choices", [choice.index for choice in two.choices] == [0, 1] and two.usage.completion_tokens == 24)
stopped = client.chat.completions.create(**ask, stop=["green"])
check("ended by the string", stopped.choices[0].finish_reason == "stop" and "green" not in stopped.choices[0].message.content)

# Completions, streamed and not, one prompt and two.
parts = list(client.completions.create(model=model, prompt="Once", max_tokens=4, stream=True, extra_body={"ignore_eos": True}))
check("a completion", len("".join(part.choices[0].text for part in parts).split()) == 4)
both = client.completions.create(model=model, prompt=["Once", "Twice"], max_tokens=4, extra_body={"ignore_eos": True})
check("two prompts", len(both.choices) == 2)


# What should be an error is the right one.
def raises(kind, **more):
    try:
        client.chat.completions.create(**{**ask, **more})
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} for {more}")


check("unknown model", raises(openai.NotFoundError, model="no-such-model").status_code == 404)
check("no room", raises(openai.BadRequestError, max_tokens=100_000).status_code == 400)
fault = lambda text: {"extra_headers": {"x-sim-fault": text}}
check("too many", raises(openai.RateLimitError, **fault("status=429,retry-after=2")).response.headers["retry-after"] == "2")
check("overloaded", raises(openai.InternalServerError, **fault("status=503")).status_code == 503)
raises(openai.APIConnectionError, **fault("reset-before-head"))
try:
    list(client.chat.completions.create(**ask, stream=True, **fault("error-in-200,after=2")))
    check("an error in the stream is seen", False)
except openai.APIError:
    check("an error in the stream is seen", True)
for text in ("crlf", "tokens-per-chunk=3", "drip=64,every=1ms", "duplicate-usage"):
    words = [c.choices[0].delta.content or "" for c in client.chat.completions.create(**ask, stream=True, **fault(text)) if c.choices]
    check(text, len("".join(words).split()) == 12)

print(f"openai {openai.__version__}: {passed} checks passed against {model} at {sys.argv[1]}")
