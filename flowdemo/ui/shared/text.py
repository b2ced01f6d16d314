"""What the app says, in English and Chinese; the browser's language decides (English for others)."""

import gradio as gr

from flowdemo.methods import METHODS

ENGLISH: dict[str, str] = {}
CHINESE: dict[str, str] = {}


def both(key: str, english: str, chinese: str) -> str:
    """What stands on the page for a text of that key: the browser puts its own language there."""
    ENGLISH[key], CHINESE[key] = english, chinese
    return str(gr.I18n()(key))


def languages() -> gr.I18n:
    """Every text that was named, for `launch`."""
    return gr.I18n(en=ENGLISH, zh=CHINESE, **{"zh-CN": CHINESE})


TITLE = "FlowDemo"
INTRO = both(
    "intro",
    "**From noise to data, three ways.** Flow matching follows a learnt velocity in many small steps, "
    "reflow straightens its paths so that few suffice, MeanFlow jumps in a single evaluation. "
    "Same noise, same class, your choice of guidance and solver.",
    "**从噪声到数据的三种走法**。流匹配(flow matching)沿学到的速度走许多小步;reflow 把路径拉直,几步就够;"
    "MeanFlow 只用一次网络评估就跳到终点。噪声相同、类别相同,引导权重和求解器由你选择。",
)
GENERATE_TAB = both("tab-generate", "Generate", "生成")
COMPARE_TAB = both("tab-compare", "Compare", "比较")
LAB_TAB = both("tab-lab", "2-D Lab", "二维实验室")
MODELS_TAB = both("tab-models", "Models", "模型")
TOUR_TAB = both("tab-tour", "Guided tour", "导览")
METHOD_HINTS = {name: both(f"hint-{name}", *method.hint) for name, method in METHODS.items()}
PLAYER = both(
    "player",
    "The same samples from noise (t = 0) to data (t = 1). Only states that the solver visited are shown. "
    "For latent models these are previews; only the last state is decoded.",
    "同一批样本从噪声(t = 0)到数据(t = 1);只显示求解器真正经过的状态;潜空间模型显示的是预览,最后一帧才解码。",
)
PLANE_IMAGES = both(
    "plane-images",
    "Each line is one sample's way through the plane of the digits' first two principal components; "
    "grey: real digits, numbers: where the classes lie.",
    "每条线是一个样本在真实数字前两个主成分平面上的路程;灰点是真实数字,数字标出各类的位置。",
)
PLANE_RUN = both(
    "plane-run",
    "Each line is one sample's path in the plane in which these samples vary most; there are no real images of this "
    "data set to compare with.",
    "每条线是一个样本在这批样本变化最大的平面上的路程;这里没有该数据集的真实图像可作比较。",
)
PLANE_POINTS = both(
    "plane-points",
    "Each line is one point's way from noise to data; grey: real points.",
    "每条线是一个点从噪声到数据的路程;灰点是真实数据。",
)
RATES = both(
    "rates",
    "How fast the samples move and how sharply they turn: a straight flow has constant speed, no turns.",
    "样本走得多快、转弯多急:笔直的流速度恒定、从不转弯。",
)
NEAREST = both("nearest", "Nearest real images", "最近的真实图像")
EXPLAIN_NEAREST = both(
    "explain-nearest",
    "Under each sample the nearest of 4,000 training images in the classifier's features, redrawn from 64 "
    "principal components (a little blurred). A copied training image would be easy to spot.",
    "每个样本下面是分类器特征空间中最近的训练图像(取自 4,000 张,由 64 个主成分重画,因此略模糊):若抄了其中一张,一看便知。",
)
EXPLAIN = both(
    "explain",
    """
- **Samples**: what the chosen network makes from the noise of the chosen seed. Sample *i* starts from the
  same noise for every method, so you can switch the method and compare.
- **Class**: one digit for all, **all** classes in turn, or **any** (no class, no guidance).
- **CFG weight** *w*: 1 is no guidance; more makes samples more typical of their class and less varied:
  `v_w = v(empty) + w (v(class) - v(empty))`. Flow matching pays a second evaluation for it; reflow and
  MeanFlow take *w* as an input of the network.
- **Solver and steps**: how `dx/dt = v(x, t)` is followed. `average` is MeanFlow's own step,
  `x_s = x_t + (s - t) u(x_t, t, s)`. Adaptive solvers take a tolerance instead and choose steps for the
  whole batch at once, so a sample depends on its batch.
- **NFE**: evaluations of the network on one sample. **Straightness**: 0 when every path is a straight
  line at constant speed; measured along a fine run of the velocity, whatever solver you chose.
- **Accuracy**: the share of these samples that the classifier in this repository takes for their class; classes that it does
  not know, those that fine-tuning added, are left out.
""",
    """
- **样本**:所选网络从所选种子的噪声生成的结果。无论哪种方法,第 *i* 个样本都从同一噪声出发,所以换一种方法就能直接比较。
- **类别**:全部用同一个数字,**all** 轮流用所有类别,**any** 不给类别(也就没有引导)。
- **CFG 权重** *w*:1 表示不引导;越大,样本越像典型的该类,也越单一:`v_w = v(空) + w (v(类) - v(空))`。
  流匹配为此多评估一次;reflow 和 MeanFlow 把 *w* 作为网络输入。
- **求解器与步数**:怎样沿 `dx/dt = v(x, t)` 前进。`average` 是 MeanFlow 自己的一步,`x_s = x_t + (s - t) u(x_t, t, s)`。
  自适应求解器用容差代替步数,并为整批样本一起选步长,所以一个样本会受同批样本影响。
- **NFE**:每个样本的网络评估次数。**直度**:0 表示所有路径都是匀速直线;总沿精细求解的速度场测量,与所选求解器无关。
- **准确率**:本仓库的分类器把这些样本认作其类别的比例;它不认识的类别(微调新增的)不计入。
""",
)
COMPARE = both(
    "compare",
    "Every row starts from the same noise and the same classes; move the time slider to see all of them "
    "on their way. Choose ready-made rows, or write your own.",
    "每一行都从同一噪声、同一类别出发;拖动时间滑块,看它们一起走。可选现成的组合,也可以自己写。",
)
ROWS_HELP = both(
    "rows-help",
    "One a line: MODEL:solver:steps:CFG weight, or MODEL:dopri5@1e-3:CFG weight",
    "每行一个:模型:求解器:步数:CFG 权重,或 模型:dopri5@1e-3:CFG 权重",
)
QUALITY = both(
    "quality",
    "Measured once on each checkpoint with 10,000 samples (2,000 points); nothing is shown where nothing was "
    "measured. The dashed line is what real data reaches. Right: these rows, on this machine.",
    "每个检查点用 10,000 个样本(平面数据 2,000 个点)测过一次;没测过的不显示。虚线是真实数据的水平。右图:这几行在本机的耗时。",
)
INVERT = both(
    "invert",
    "The same equation runs both ways: from the digit at t = 1 back to the noise at t = 0 that it came "
    "from, then forward again as the same or another class, by the same or another method; and along "
    "noises in between to that of another seed.",
    "同一个方程可以双向求解:从 t = 1 的数字回到它在 t = 0 的噪声,再以相同或不同的类别、方法走回来;还可以沿途走到另一个种子的噪声。",
)
EXPLAIN_INVERT = both(
    "explain-invert",
    """
- **Back**: `dx/dt = v(x, t)` from the digit at t = 1 down to t = 0, by dopri5 at tolerance 1e-5; a MeanFlow network by its velocity u(x, t, t).
- **Forward**: from that noise by the model below in its own way; the same model and class by the same equation brings the digit back, and the
  **round-trip error** says how nearly.
- **Between two noises**: along the great circle through both, since a straight line would leave the shell where such noise lies.
""",
    """
- **回去**:`dx/dt = v(x, t)` 从 t = 1 的数字走到 t = 0,用 dopri5,容差 1e-5;MeanFlow 网络用其速度 u(x, t, t)。
- **回来**:从该噪声由下面的模型按它自己的方式生成;同一模型、同一类别按同一方程会把数字带回来,**往返误差**说明有多接近。
- **两个噪声之间**:沿经过两者的大圆走,因为直线会离开这类噪声所在的球壳。
""",
)
AB = both(
    "ab",
    "Drag the handle: the same noise, two rows. Below, for digits: the nearest real images of row B.",
    "拖动手柄:同一噪声,两行结果。下面(数字数据):B 行最近的真实图像。",
)
EXPLAIN_COMPARE = both(
    "explain-compare",
    """
- **NFE** counts evaluations of the network on one sample; a guided flow-matching step costs two. **ms** is the
  median of warm runs of the whole row on this machine.
- **Accuracy**: the share of these samples that the classifier in this repository takes for their class; classes that it does
  not know, those that fine-tuning added, are left out.
- **Straightness**: 0 when the model's paths are straight lines at constant speed, whatever solver you chose.
- **RMSE to reference**: how far the samples are from the exact solution of the *same* model's equation
  (dopri5 at tolerance 1e-5; for MeanFlow with its velocity u(x, t, t)), in pixels from 0 to 1 or units of
  the plane, over the first 20 images (500 points). It measures the error of the solver, not the quality of the model.
- **FD** is the Frechet distance to the test set in the features of that classifier. Accuracy rises with the
  CFG weight while FD gets worse, so read them together.
""",
    """
- **NFE** 是每个样本的网络评估次数;带引导的流匹配一步算两次。**ms** 是整行在本机预热后多次运行的中位数。
- **准确率**:本仓库的分类器把这些样本认作其类别的比例;它不认识的类别(微调新增的)不计入。
- **直度**:0 表示该模型的路径都是匀速直线,与所选求解器无关。
- **到参考解的 RMSE**:样本离*同一*模型方程的精确解有多远(dopri5,容差 1e-5;MeanFlow 用其速度 u(x, t, t)),单位是 0 到 1 的像素或平面坐标,
  取前 20 张图(500 个点)。它说明求解器损失了多少,不说明哪个模型更好。
- **FD** 是在该分类器特征中到测试集的 Fréchet 距离。CFG 权重增大时准确率升高而 FD 变差,两者要一起看。
""",
)
MODELS = both(
    "models",
    "Every model that can be sampled: what ships, what was trained here, and what the Hub has. Choosing a Hub model in "
    "Generate or Compare downloads it.",
    "所有可以采样的模型:随仓库附带的、在本机训练的,以及 Hub 上的。在“生成”或“比较”中选择 Hub 上的模型也会自动下载。",
)
FROM_HUB = both("from-hub", "From the Hub", "从 Hub 获取")
TO_HUB = both("to-hub", "To the Hub", "发送到 Hub")
EXPLAIN_MODELS = both(
    "explain-models",
    """
- **Where**: *shipped* came with this app; *trained here* lies in `checkpoints/`; *cached* was downloaded from the Hub and needs no network any more;
  *on the Hub* is downloaded when you choose it.
- **Pull** downloads a model, checks it (sizes before the download, SHA-256 after it, names and shapes against its description) and remembers its commit.
  Of repositories that you name only `config.json`, `model.safetensors` and `README.md` are read, never code or pickles.
- Models **trained by others** (yarr, SiT, improved MeanFlow) are converted once: time direction, scaling, CFG convention and padding become
  those of this app. Those of ImageNet work on latents and need the package `diffusers` and a decoder (335 MB).
- **Measured** are the numbers of this repository's own `evaluate`; an empty cell means not measured.
""",
    """
- **位置**:*shipped* 随本应用附带;*trained here* 在 `checkpoints/` 中;*cached* 已从 Hub 下载,不再需要网络;*on the Hub* 选中时才下载。
- **Pull** 下载模型并检查(下载前看大小,下载后核对 SHA-256,名称与形状须与描述一致),并记住其提交号。对你指定的仓库只读取 `config.json`、
  `model.safetensors` 和 `README.md`,绝不读取代码或 pickle。
- **他人训练的模型**(yarr、SiT、improved MeanFlow)只转换一次:时间方向、缩放、CFG 约定和填充都变成本应用的约定。ImageNet 模型在潜空间工作,需要 `diffusers` 包和解码器(335 MB)。
- **Measured** 是本仓库 `evaluate` 测得的数字;空白表示没有测过。
""",
)
IDLE = both("idle", "Ready.", "就绪。")
STOPPED = both("stopped", "Stopped.", "已停止。")
EXPORT = both("export", "Export this run", "导出这次运行")
EXPORT_ROWS = both("export-rows", "Export these rows", "导出这几行")
OTHER_WEIGHTS = "The link was made with other weights ({old}); here is the same request with {new}."
WHAT = both("what", "What am I seeing?", "我看到的是什么?")
