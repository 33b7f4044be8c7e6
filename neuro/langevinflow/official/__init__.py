"""The released reference implementation of LangevinFlow, number by number: `Config(mode="official")`.

It exists to be compared with. What it does differently from the described model is told where it acts, and each such
choice that changes results is a field of `Release`. Source: KingJamesSong/LangevinFlow_CCN, revision 68dcbfa.
"""
