"""Which endpoints may be used, beyond what their source says of them: who has judged them, how, and why.

verdicts  what each judge says of each endpoint, and the state that follows
"""
