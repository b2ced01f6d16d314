"""What the 2-D Lab says, in English and Chinese."""

from flowdemo.ui.text import both

LAB = both(
    "lab",
    "Every panel starts from the same noise and takes the same number of steps; move the time slider. "
    "Take few steps to see who needs many. The exact velocity is a formula: what perfect training would learn.",
    "每个画面都从同一噪声出发,走同样多的步;拖动时间滑块。步数调小,就能看出谁需要很多步。精确速度是一个公式:完美训练所能学到的东西。",
)
EXPLAIN_LAB = both(
    "explain-lab",
    """
- **Points** move along `dx/dt = v(x, t)` from N(0, I) to the data; grey: real data. Small squares (**solver states**) mark
  where the solver really was. Colours are classes.
- **Velocity**: the arrows of v at the time of the slider, all panels at one scale; of the chosen class, else of all data. A MeanFlow network has **average
  velocities** u(x, t, s), from t to the s of the second slider: one arrow along it is one step.
- **Exact velocity**: the mean of all conditional velocities through a point,
  `v(x, t) = E[x_1 - x_0 | x_t = x]` on the linear path; in closed form where the data is a mixture of Gaussians, else over 2,000
  points of it, each a Gaussian of scale 0.05.
- **Shade**: densities, or where a learnt velocity is wrong, `|v - v*|`, darkest at the 95 % quantile of the worst panel. Reflow
  learns another velocity on purpose: its error is no fault.
- **W2** is the exact Wasserstein-2 distance to as many real points; two real draws are as far apart as its title says.
  **Velocity error** is the root mean square of `|v - v*|` along the exact samples.
""",
    """
- **点**沿 `dx/dt = v(x, t)` 从 N(0, I) 走向数据;灰点是真实数据。小方块(**solver states**)标出求解器真正停过的位置。颜色表示类别。
- **速度**:滑块所在时刻 v 的箭头,所有画面同一比例;属于所选类别,否则属于全部数据。MeanFlow 网络有**平均速度** u(x, t, s),从 t 到第二个滑块的 s:沿箭头走一次就是一步。
- **精确速度**:经过一点的所有条件速度的平均,线性路径上 `v(x, t) = E[x_1 - x_0 | x_t = x]`;数据是高斯混合时用闭式,否则用 2,000 个数据点,每点是尺度 0.05 的高斯。
- **底色**:密度,或学到的速度错在哪里 `|v - v*|`,最深处是最差画面的 95% 分位数。reflow 本来就学另一个速度,它的"误差"不是缺点。
- **W2** 是到同样多真实点的精确 Wasserstein-2 距离;两批真实点之间的距离写在表头。**速度误差**是沿精确样本 `|v - v*|` 的均方根。
""",
)
OWN_FIRST = both(
    "own-first",
    "Draw points on the pad, or bring a table, and take them.",
    "请在画板上画点,或提供一个表格,然后点击采用。",
)
PAD = both(
    "pad",
    "Draw where the data shall lie: points are sprayed under the mouse, the pen or the finger.",
    "画出数据应在的位置:鼠标、笔或手指经过处会撒下点。",
)
TABLE_HELP = both(
    "table-help",
    "Two numbers a line: x, y. 10 to 20,000 lines; a line of titles may stand first.",
    "每行两个数:x, y。10 到 20,000 行;第一行可以是标题。",
)
TRAIN = both(
    "train",
    "A small network learns the data chosen above while you watch: its samples, its loss, and W2 to real points against that "
    "of two real draws. Stop keeps what there is; afterwards your models stand in the films above.",
    "一个小网络当场学习上面选的数据:它的样本、损失,以及到真实点的 W2(对照两批真实点之间的距离)。停止会保留已学到的;之后你的模型会出现在上面的影片里。",
)
TRAIN_METHOD = both(
    "train-method",
    "Reflow and MeanFlow learn from your last flow where there is one; reflow needs one.",
    "reflow 和 MeanFlow 会向你最近训练的流学习;reflow 必须先有一个流。",
)
CHAIN = both(
    "chain",
    "All in turn: flow matching → reflow → reflow → MeanFlow",
    "依次全做:流匹配 → reflow → 再 reflow → MeanFlow",
)
KEEP = both(
    "keep",
    "Save a model as a checkpoint, which then stands in every other tab, or take its files.",
    "把模型存为检查点(随后出现在所有标签页),或下载它的文件。",
)
KEEP_PUBLIC = both(
    "keep-public",
    "Take a model's files: nothing is saved on a public page.",
    "下载模型文件:公共页面不保存任何东西。",
)
TWO_KINDS = both(
    "two-kinds",
    "Left: noise and data in pairs, each pair joined by its **conditional** path; the paths cross. Right: the "
    "**marginal** trajectories of the exact velocity from the same noise, which never meet at the same time. Mini-batch OT (ot) chooses pairs that hardly cross.",
    "左:噪声与数据成对,每对由**条件**路径相连,路径会交叉。右:从同一噪声沿精确速度的**边缘**轨迹,它们从不在同一时刻相遇。小批量最优传输(ot)选出几乎不交叉的配对。",
)
BACK = both(
    "back",
    "The descending grid: real points from t = 1 back to noise at t = 0, and forward again. If the flow is right, the noise is N(0, I).",
    "倒着走时间网格:真实点从 t = 1 回到 t = 0 的噪声,再走回来。流若正确,噪声就是 N(0, I)。",
)
LIKELIHOOD = both(
    "likelihood",
    "The instantaneous change of variables gives every point a density: `log p_1(x_1) = log p_0(x_0) − ∫ div v(x_t, t) dt`, along the "
    "way back from x_1 to x_0, with the exact divergence.",
    "瞬时变量代换给出每一点的密度:`log p_1(x_1) = log p_0(x_0) − ∫ div v(x_t, t) dt`,沿 x_1 回到 x_0 的路积分,散度是精确的。",
)
