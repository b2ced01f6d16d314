"""What the guided tour says, in English and Chinese: step -> title and text."""

from flowdemo.ui.shared.text import both

NEXT = both("tour-next", "Next", "下一步")
OPEN_LAB = both("tour-lab", "Try it in the 2-D Lab", "到二维实验室动手试试")
STEPS = {
    "noise": (
        both("tour-noise-title", "Noise to data", "从噪声到数据"),
        both(
            "tour-noise",
            """
### 1. Every sample is a point that moves

At time `t = 0` it is noise, drawn from N(0, I): it knows nothing of the data. At `t = 1` it is data, here one of two moons (grey).
Press play to move the same 400 points. All the methods of this app differ only in *how* they move.
""",
            """
### 1. 每个样本都是一个移动的点

在 `t = 0` 它是从 N(0, I) 抽取的噪声,对数据一无所知;在 `t = 1` 它就是数据,这里是两个月牙之一(灰色)。
按播放:同样的 400 个点走向终点。这个应用里的方法,区别只在于*怎么走*。
""",
        ),
    ),
    "velocity": (
        both("tour-velocity-title", "A velocity", "速度"),
        both(
            "tour-velocity",
            """
### 2. A network that says where to go

Flow matching learns one function, the **velocity** `v(x, t)`: at every place and time, an arrow. Sampling follows the arrows,
`dx/dt = v(x, t)`, with many small steps of a solver. Move the slider and watch the arrows change.

It is learnt without ever following anything: take noise `x_0` and data `x_1`, a point `x_t = t x_1 + (1 - t) x_0` between them, and
ask the network for `x_1 - x_0`.
""",
            """
### 2. 一个指路的网络

流匹配学习一个函数,即**速度** `v(x, t)`:每个位置、每个时刻都有一支箭头。采样就是顺着箭头走,`dx/dt = v(x, t)`,由求解器走许多小步。
拖动滑块,看箭头怎样变化。

训练时并不需要走任何路:取噪声 `x_0` 和数据 `x_1`,取两者之间的点 `x_t = t x_1 + (1 - t) x_0`,让网络给出 `x_1 - x_0`。
""",
        ),
    ),
    "conditional": (
        both("tour-conditional-title", "Two kinds of path", "两种路径"),
        both(
            "tour-conditional",
            """
### 3. Straight lines cross, and what is learnt is their mean

The training pairs (left) are joined by straight lines, and the lines cross: at a crossing the network is asked for two directions at
once. The best it can do is their mean, `v(x, t) = E[x_1 - x_0 | x_t = x]`. Following the mean (right), no two points ever meet, so
paths must bend round each other.
""",
            """
### 3. 直线会交叉,学到的是它们的平均

训练配对(左)由直线相连,直线会交叉:在交叉处,网络被要求同时给出两个方向。它能做到的最好结果是平均,`v(x, t) = E[x_1 - x_0 | x_t = x]`。
顺着平均走(右),任何两点都不会相遇,于是路径必须彼此绕开,变弯了。
""",
        ),
    ),
    "few": (
        both("tour-few-title", "Few steps fail", "步数太少就失败"),
        both(
            "tour-few",
            """
### 4. Bent paths need many steps

A step is a straight piece. With 16 the points arrive; with 1 they all go to the mean of the data, since that is where the first arrow
points. Each step costs an evaluation of the network (**NFE**), which for images is nearly all of the time.
""",
            """
### 4. 弯路需要很多步

一步就是一段直线。走 16 步,点能到达;只走 1 步,它们都去了数据的平均位置,因为第一支箭头就指向那里。
每一步要评估一次网络(**NFE**),对图像来说,时间几乎全花在这里。
""",
        ),
    ),
    "reflow": (
        both("tour-reflow-title", "Straighten", "拉直"),
        both(
            "tour-reflow",
            """
### 5. Reflow: learn again from where the points went

Take the noise and the place it was carried to as new pairs, and train flow matching on them. These pairs hardly cross any more, so their
lines can be followed nearly as they are: the same ends, but straight (right). **Straightness** S is 0 when every path is a straight line at
constant speed.
""",
            """
### 5. Reflow:按点到达的地方再学一次

把噪声和它被带到的位置作为新的配对,再做一次流匹配。这些配对几乎不再交叉,几乎可以直接沿直线走:终点相同,路却是直的(右)。
所有路径都是匀速直线时,**直度** S 为 0。
""",
        ),
    ),
    "one": (
        both("tour-one-title", "One step", "一步到位"),
        both(
            "tour-one",
            """
### 6. MeanFlow: learn the jump itself

Instead of the velocity now, learn the **average velocity** over a whole stretch of time,
`u(x, t, s) = 1/(s - t) ∫ v dτ`. Then `x_1 = x_0 + u(x_0, 0, 1)` is exact, and one evaluation suffices, although the paths stay bent. It is
trained by an identity between `u`, `v` and the derivative of `u`: `u = v + (s - t) du/dt`.

Here is one evaluation of all three.
""",
            """
### 6. MeanFlow:直接学习那一跳

不学此刻的速度,而学一整段时间的**平均速度** `u(x, t, s) = 1/(s - t) ∫ v dτ`。于是 `x_1 = x_0 + u(x_0, 0, 1)` 是精确的,
只需一次评估,虽然路径仍是弯的。训练靠 `u`、`v` 与 `u` 的导数之间的恒等式:`u = v + (s - t) du/dt`。

这里是三种方法各评估一次的结果。
""",
        ),
    ),
}
