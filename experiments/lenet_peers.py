"""x"""
from fnmath.layers import conv
def first_layer(params, image):
    return conv(params.conv1, image, padding="VALID")
