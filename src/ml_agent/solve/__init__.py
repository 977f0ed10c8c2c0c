"""A user's folder or script in, a better script and its evidence out.

perceive   what is to be predicted, from what, how measured     -> Perceived
package    the task package of it: card, data, starter, splits
search     attempts from the best script so far, in a budget
answer     the best script with its predictions, and the report
"""
