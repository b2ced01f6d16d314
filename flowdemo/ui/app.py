"""The whole page."""

from pathlib import Path

import gradio as gr

from flowdemo.settings import is_public
from flowdemo.ui.compare import tab as compare_tab
from flowdemo.ui.endpoints import finetune as train_api
from flowdemo.ui.endpoints import lab as lab_api
from flowdemo.ui.endpoints import sampling as api
from flowdemo.ui.generate import tab as generate_tab
from flowdemo.ui.lab import tab as lab_tab
from flowdemo.ui.models import tab as shelf_tab
from flowdemo.ui.shared import text
from flowdemo.ui.tour import tab as tour_tab
from flowdemo.ui.train import tab as train_tab
from flowdemo.ui.train import text as train_text

HERE = Path(__file__).parent
# A system font: nothing is fetched from elsewhere.
THEME = gr.themes.Default(
    primary_hue="blue", neutral_hue="slate", font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
)  # fmt: skip


def build_app() -> gr.Blocks:
    """The tabs; every tab builds and wires itself."""
    with gr.Blocks(title=text.TITLE, analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        gr.Markdown(f"# {text.TITLE}")
        gr.Markdown(text.INTRO, elem_classes="fd-intro")
        with gr.Tabs() as tabs:
            with gr.Tab(text.GENERATE_TAB, id="generate", elem_id="tab-generate") as tab:
                generate = generate_tab.build(demo, tab)
            with gr.Tab(text.COMPARE_TAB, id="compare", elem_id="tab-compare") as tab:
                compare = compare_tab.build(demo, tab, tabs)
            with gr.Tab(text.LAB_TAB, id="lab", elem_id="tab-lab") as tab:
                workspace = lab_tab.build(demo, tab, tabs)
            with gr.Tab(train_text.TRAIN_TAB, id="train", elem_id="tab-train") as tab:
                train_tab.build(tab, tabs, workspace, generate, compare)
            with gr.Tab(text.MODELS_TAB, id="models", elem_id="tab-models") as tab:
                shelf_tab.build(tab, workspace)
            with gr.Tab(text.TOUR_TAB, id="tour", elem_id="tab-tour") as tab:
                tour_tab.build(tab, tabs)
        for script in ("hide.js", "announce.js"):
            demo.load(None, None, None, js=(HERE / script).read_text(), api_visibility="private")
        api.build()
        lab_api.build()
        train_api.build()
    return demo.queue(max_size=20) if is_public() else demo


def launch(
    host: str | None = None, port: int | None = None, wait: bool = True, mcp: bool = False
) -> gr.Blocks:
    """Serves the app; with `wait` until it is interrupted, with `mcp` its endpoints as tools, too."""
    demo = build_app()
    demo.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=not wait,
        i18n=text.languages(),
        theme=THEME,
        css=(HERE / "style.css").read_text(),
        footer_links=["api"],
        run_history=False,
        max_file_size="20mb" if is_public() else "500mb",
        show_error=True,
        ssr_mode=False,
        mcp_server=mcp,
    )
    return demo
