"""The endpoints as tools for language models."""

import httpx

from flowdemo.ui import app


def test_the_endpoints_are_tools_where_that_is_asked_for():
    demo = app.launch(wait=False, mcp=True)
    try:
        found = httpx.get(f"{demo.local_url}gradio_api/mcp/schema", timeout=30).json()
    finally:
        demo.close()
    tools = {tool["name"].removeprefix("FlowDemo_"): tool for tool in found}
    assert set(tools) == {
        "generate", "compare", "models", "pull", "lab_train", "lab_sample", "finetune",
    }  # fmt: skip
    assert "Draws n samples" in tools["generate"]["description"]
    assert {"model", "n", "label", "guidance"} <= set(
        tools["generate"]["inputSchema"]["properties"]
    )


def test_by_default_there_is_no_such_server(server):
    assert httpx.get(f"{server}gradio_api/mcp/schema", timeout=30).status_code == 404
