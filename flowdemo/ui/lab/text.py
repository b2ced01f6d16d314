"""What the 2-D Lab says, in English and Chinese."""

from flowdemo.ui.shared.text import both

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
- **Velocity**: arrows of v at the multiple of 0.1 nearest to the slider's time, at one scale in all panels, long ones shortened; for the chosen class, else for all data. A MeanFlow network has **average
  velocities** u(x, t, s), from t to the s of the second slider: one step follows its arrow for (s - t) times the length of u.
- **Exact velocity**: the mean of all conditional velocities through a point,
  `v(x, t) = E[x_1 - x_0 | x_t = x]` on the linear path; in closed form where the data is a mixture of Gaussians, else over 2,000
  points of it, each a Gaussian of scale 0.05.
- **Shade**: densities, or where a learnt velocity is wrong, `|v - v*|`, darkest from the number shown. Reflow, and training with mini-batch
  OT, learn another velocity on purpose: that difference is not an error.
- **W2** is the exact Wasserstein-2 distance to as many real points; the column title gives the distance of two real draws.
  **Velocity error** is the root mean square of `|v - v*|` along the exact samples.
""",
    """
- **点**沿 `dx/dt = v(x, t)` 从 N(0, I) 走向数据;灰点是真实数据。小方块(**solver states**)标出求解器真正停过的位置。颜色表示类别。
- **速度**:最接近滑块时刻的十分之一处 v 的箭头(过长的截短),所有画面同一比例;属于所选类别,否则属于全部数据。MeanFlow 网络有**平均速度** u(x, t, s),从 t 到第二个滑块的 s:一步沿箭头方向走 (s - t) u。
- **精确速度**:经过一点的所有条件速度的平均,线性路径上 `v(x, t) = E[x_1 - x_0 | x_t = x]`;数据是高斯混合时用闭式,否则用 2,000 个数据点,每点是尺度 0.05 的高斯。
- **底色**:密度,或学到的速度错在哪里 `|v - v*|`,最深处从所示数值起。reflow 以及用小批量最优传输训练的模型本来就学另一个速度,这种差异不是缺点。
- **W2** 是到同样多真实点的精确 Wasserstein-2 距离;两批真实点之间的距离写在表头。**速度误差**是沿精确样本 `|v - v*|` 的均方根。
""",
)
OWN_FIRST = both(
    "own-first",
    "Draw points on the pad or paste a table, then press its Take button.",
    "请在画板上画点,或提供一个表格,然后点击采用。",
)
PAD = both(
    "pad",
    "Draw the data: points are sprayed under the mouse, pen or finger.",
    "画出数据应在的位置:鼠标、笔或手指经过处会撒下点。",
)
TABLE_HELP = both(
    "table-help",
    "Two numbers a line: x, y. 10 to 20,000 lines; the first line may hold titles.",
    "每行两个数:x, y。10 到 20,000 行;第一行可以是标题。",
)
TRAIN = both(
    "train",
    "A small network learns the data chosen above while you watch: its samples, its loss, and W2 to real points against that "
    "of two real draws. Stop keeps the model so far; your models then appear in the panels above.",
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
    "Save a model as a checkpoint for every other tab, or download its files.",
    "把模型存为检查点(随后出现在所有标签页),或下载它的文件。",
)
KEEP_PUBLIC = both(
    "keep-public",
    "Take a model's files: nothing is saved on a public page.",
    "下载模型文件:公共页面不保存任何东西。",
)
TWO_KINDS = both(
    "two-kinds",
    "Left: noise and data in pairs, each pair joined by its **conditional** path; over the whole distribution, many such paths pass "
    "every place at the same time. Right: the **marginal** trajectories, which follow their mean, the exact velocity of independent "
    "pairs: only one passes a place at a time. Mini-batch OT (ot, left) chooses pairs that hardly cross; their mean is a straighter "
    "velocity than the one on the right.",
    "左:噪声与数据成对,每对由**条件**路径相连;就整个分布而言,同一时刻有许多条这样的路径经过同一点。右:**边缘**轨迹沿它们的平均走,"
    "即独立配对的精确速度:同一时刻经过一点的只有一条。小批量最优传输(左,ot)选出几乎不交叉的配对;它们的平均速度比右边的更直。",
)
BACK = both(
    "back",
    "The descending grid: real points from t = 1 back to noise at t = 0, and forward again. If the flow is right, the noise is N(0, I).",
    "倒着走时间网格:真实点从 t = 1 回到 t = 0 的噪声,再走回来。流若正确,噪声就是 N(0, I)。",
)
LIKELIHOOD = both(
    "likelihood",
    "The instantaneous change of variables gives every point a density (the exact velocity has it as a formula): `log p_1(x_1) = log p_0(x_0) − ∫ div v(x_t, t) dt`, along the "
    "way back from x_1 to x_0, with the exact divergence.",
    "瞬时变量代换给出每一点的密度(精确速度则直接用公式):`log p_1(x_1) = log p_0(x_0) − ∫ div v(x_t, t) dt`,沿 x_1 回到 x_0 的路积分,散度是精确的。",
)
EXPLAIN_TRAIN = both(
    "explain-train",
    """
- **Flow matching** minimises `E|v(x_t, t) - u_t|^2` with `x_t = alpha(t) x_1 + sigma(t) x_0` on the chosen **path**, over noise, data and
  the chosen **times**. Its loss does not go to 0: at a place many velocities `u_t` meet, and the network can only learn their mean.
- **Coupling**: `independent` pairs any noise with any data; `ot` pairs the noise and data of each batch by least total distance, within each class.
- **Reflow** is the same loss on pairs that your last flow made: noise, and where it was carried. Now few velocities meet, and the loss is small.
- **MeanFlow** minimises `|u - sg(v + (s - t) du/dt)|^2`, with `v` from your last flow where there is one, else `u_t`.
- **Loss**: `adaptive` divides each sample's squared error by its own power `(|d|^2 + c)^0.75`, so that hard samples do not dominate.
- **W2** is measured on 400 points, MeanFlow by one step, others by 20 Euler steps.
""",
    """
- **流匹配**最小化 `E|v(x_t, t) - u_t|^2`,其中 `x_t = alpha(t) x_1 + sigma(t) x_0` 取所选**路径**,对噪声、数据和所选**时间**求平均。
  损失不会到 0:同一处有许多速度 `u_t` 相遇,网络只能学到它们的平均。
- **耦合**:`independent` 任意配对;`ot` 在每批的每个类别内,按总距离最小来配对噪声与数据。
- **Reflow** 用同样的损失,但配对由你最近的流生成:噪声,以及它被带到的位置。这时相遇的速度很少,损失很小。
- **MeanFlow** 最小化 `|u - sg(v + (s - t) du/dt)|^2`,有流时 `v` 取自你最近的流,否则取 `u_t`。
- **损失**:`adaptive` 把每个样本的平方误差除以 `(|d|^2 + c)^0.75`,避免难样本支配训练。
- **W2** 用 400 个点测量:MeanFlow 走一步,其余走 20 个 Euler 步。
""",
)
EXPLAIN_LOOKS = both(
    "explain-looks",
    """
- **Two kinds of path**: the conditional path of a pair is `x_t = alpha(t) x_1 + sigma(t) x_0`; the marginal velocity is the mean over all pairs
  through a place, `v(x, t) = E[u_t | x_t = x]`, so a trajectory along it changes partners on its way.
- **Back to noise**: `dx/dt = v(x, t)` from t = 1 down to t = 0. The only difference after the round trip is the solver's error.
- **Likelihood**: along the flow `d log p_t(x_t)/dt = -div v(x_t, t)`. Bright is likely; the number is the natural logarithm of a density per unit
  of area, and over the whole plane the density integrates to 1.
""",
    """
- **两种路径**:一对的条件路径是 `x_t = alpha(t) x_1 + sigma(t) x_0`;边缘速度是经过一点的所有配对的平均 `v(x, t) = E[u_t | x_t = x]`,所以沿它的轨迹一路上会换伙伴。
- **回到噪声**:`dx/dt = v(x, t)` 从 t = 1 走到 t = 0。走回来的差别只来自求解器的误差。
- **似然**:沿流有 `d log p_t(x_t)/dt = -div v(x_t, t)`。越亮越可能;数值是单位面积密度的自然对数,整个平面上密度积分为 1。
""",
)
