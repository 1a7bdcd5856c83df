"""`fairlead hpa --simulate`: metrics as drivers of the autoscaler, against a described load, in virtual time."""
